"""Who changed something, and in which request: kept beside every change that staff make in the back office."""

from pghistory.middleware import HistoryMiddleware

from emsp.logs import told_path


class StaffContext(HistoryMiddleware):
    def get_context(self, request) -> dict:
        """The id is that of the log's lines; of the path no key is kept."""
        return super().get_context(request) | {"url": told_path(request), "request_id": request.id}
