"""What a command is given, made ready: frames by path or name, the pixel size, the ensemble of a material."""

from __future__ import annotations

from elit_helpers.calibration.pixel_size import CalibrationFailed, calibrate
from elit_helpers.core.checks import PathLike, check_choice, check_path, check_pixel_size
from elit_helpers.data.real_frames import load_real
from elit_helpers.data.registry import real_frames
from elit_helpers.ensemble.settings import Ensemble
from elit_helpers.ensemble.storage import default_ensemble, load_ensemble, shipped_materials
from elit_helpers.io.micrograph import Micrograph, load_image
from elit_helpers.samples.materials import MATERIALS

DISAGREEMENT = 0.03  # two pixel sizes further apart than this are reported


def check_material(material: str) -> str:
    """Return a material that an ensemble ships for, or refuse it with the list of those."""
    return check_choice("material", material, shipped_materials())


def open_frames(image: PathLike | Micrograph) -> Micrograph:
    """A file or folder; or, where there is none of that name, a real frame of that name."""
    if isinstance(image, Micrograph):
        return image
    named = not check_path("image", image).exists() and str(image) in set(real_frames()["name"])
    return load_real(str(image)) if named else load_image(image)


def resolve_pixel_size(
    micrograph: Micrograph, pixel_size: float | None, *, material: str, frame: int, warnings: list[str]
) -> tuple[float, str]:
    """Decide on a pixel size [Å/px]: the user's word before the lattice's, the lattice's before the file's.

    Disagreements over 3 %, and a lattice that could not be read, are added to `warnings`.

    Raises
    ------
    ValueError
        If the user's value is impossible, or there is neither a user's, a lattice's, nor a file's.
    """
    given = None if pixel_size is None else check_pixel_size(pixel_size)
    nominal = given or micrograph.pixel_size
    try:
        measured = calibrate(micrograph.frames[frame], lattice=material, nominal=nominal)
    except CalibrationFailed as failure:
        if nominal is None:
            raise ValueError(
                f"`pixel_size` is not given, {micrograph.name} carries none, and the lattice could not be "
                f"measured ({failure}). Pass --pixel-size (pixel_size=) in Å/px: field of view over pixels."
            ) from failure
        warnings.append(f"The pixel size was not confirmed by the lattice: {failure}")
        return nominal, "user" if given else "file"
    if nominal and abs(measured.pixel_size / nominal - 1) > DISAGREEMENT:
        whose, counts = ("The pixel size you gave", "first") if given else ("The file's pixel size", "second")
        warnings.append(
            f"{whose}, {nominal:.4f} Å/px, and the lattice's, {measured.pixel_size:.4f} Å/px, differ by "
            f"{100 * (nominal / measured.pixel_size - 1):+.0f} %; the {counts} counts."
        )
    return (given, "user") if given else (measured.pixel_size, "lattice")


def ensemble_of(material: str, ensemble: PathLike | Ensemble | None = None) -> Ensemble:
    """Return an ensemble that tells the columns of a material apart: one given, or the one that ships.

    Raises
    ------
    ValueError
        If it does not know all elements that the material's columns show.
    FileNotFoundError, CorruptEnsemble
        As `load_ensemble`.
    """
    if ensemble is None:
        nets = default_ensemble(material)
    else:
        nets = ensemble if isinstance(ensemble, Ensemble) else load_ensemble(ensemble)
    wanted = MATERIALS[material].column_elements
    if not set(wanted) <= set(nets.classes):
        raise ValueError(
            f"`ensemble` tells {' and '.join(nets.classes)} apart, but {material} shows "
            f"{' and '.join(wanted)}. Pass an ensemble of {material}, none for the one that ships, or the "
            "ensemble's own material."
        )
    return nets
