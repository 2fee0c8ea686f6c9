"""Report: from a run folder to a terminal table and one HTML page. Computes nothing."""

from social_learning.report.failures import failure_lines
from social_learning.report.html import owner_page, write_audit_report, write_report
from social_learning.report.load import load_result
from social_learning.report.terminal import show_result
from social_learning.report.terminal_evidence import show_audit

__all__ = [
    "failure_lines",
    "load_result",
    "owner_page",
    "show_audit",
    "show_result",
    "write_audit_report",
    "write_report",
]
