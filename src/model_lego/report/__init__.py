"""Pages: self-contained HTML that needs no network."""

from model_lego.report.confusion import Confusion, confusion
from model_lego.report.page import check_page
from model_lego.report.parts import write_report
from model_lego.report.routes import write_routes
from model_lego.report.seats import illustrated, part_routes

__all__ = ["Confusion", "check_page", "confusion", "illustrated", "part_routes", "write_report", "write_routes"]
