"""Pictures, with matplotlib (the extra "draw")."""

from model_lego.drawing.canvas import FORMATS, check_picture
from model_lego.drawing.curve import draw_curve
from model_lego.drawing.maps import draw_maps
from model_lego.drawing.overlap import draw_overlap
from model_lego.drawing.routes import draw_routes

__all__ = ["FORMATS", "check_picture", "draw_curve", "draw_maps", "draw_overlap", "draw_routes"]
