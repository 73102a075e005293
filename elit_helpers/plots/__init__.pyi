"""Every drawing function beside the file it lives in."""

from .style import (
    COLORS as COLORS,
    CYCLE as CYCLE,
    MARKERS as MARKERS,
    OTHER as OTHER,
    RING_COLORS as RING_COLORS,
    Described as Described,
    describe as describe,
    row as row,
    scale_bar as scale_bar,
    to_png as to_png,
)
from .pictures import (
    atoms as atoms,
    image as image,
    labels as labels,
    pair as pair,
    probability as probability,
    spectrum as spectrum,
)
from .structures import bonds as bonds, regions as regions, rings as rings, structure as structure
from .runs import (
    census as census,
    energy as energy,
    histogram as histogram,
    losses as losses,
    sweep as sweep,
    temperature as temperature,
)
from .network import unet as unet
from .healing import healing_way as healing_way, outcomes as outcomes
from .uncertainty import doubt as doubt, over_members as over_members, reliability as reliability
from .animation import animate as animate
