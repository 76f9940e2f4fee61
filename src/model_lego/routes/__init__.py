"""Decision routes: which channels decide for a class or an image, layer by layer, and what classes share."""

from model_lego.routes.deciding import decision_routes
from model_lego.routes.mapping import ContributionMaps, LayerMap, contribution_maps
from model_lego.routes.nouns import DecisionRoutes, Edges, RouteLayer, TopImages, TopLayer
from model_lego.routes.top_images import top_images

__all__ = [
    "ContributionMaps",
    "DecisionRoutes",
    "Edges",
    "LayerMap",
    "RouteLayer",
    "TopImages",
    "TopLayer",
    "contribution_maps",
    "decision_routes",
    "top_images",
]
