"""Pages: self-contained HTML that needs no network."""

from model_lego.report.page import check_page
from model_lego.report.routes import write_routes

__all__ = ["check_page", "write_routes"]
