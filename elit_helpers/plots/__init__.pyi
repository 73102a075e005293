"""Every drawing function beside the file it lives in."""

from .style import (
    COLORS as COLORS,
    MARKERS as MARKERS,
    OTHER as OTHER,
    RING_COLORS as RING_COLORS,
    row as row,
    scale_bar as scale_bar,
)
from .pictures import (
    Described as Described,
    atoms as atoms,
    bonds as bonds,
    describe as describe,
    energy as energy,
    histogram as histogram,
    image as image,
    labels as labels,
    losses as losses,
    pair as pair,
    probability as probability,
    regions as regions,
    rings as rings,
    spectrum as spectrum,
    structure as structure,
    temperature as temperature,
    to_png as to_png,
)
from .runs import census as census, sweep as sweep
from .healing import healing_way as healing_way, outcomes as outcomes
from .uncertainty import doubt as doubt, over_members as over_members, reliability as reliability
from .animation import animate as animate
