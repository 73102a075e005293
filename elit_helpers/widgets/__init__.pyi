"""Every widget beside the file it lives in."""

from .shown import WIDGET as WIDGET, Shown as Shown
from .pick_members import MemberChoice as MemberChoice, pick_members as pick_members
from .explore import explore as explore, view as view
from .beside_image import beside_image as beside_image
from .live import LiveLosses as LiveLosses, LiveRun as LiveRun
from .pick_regions import (
    RegionChoice as RegionChoice,
    choose_regions as choose_regions,
    pick_regions as pick_regions,
)
from .player import player as player
