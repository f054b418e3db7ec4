"""The web page and its JSON API: an engine of queued jobs below both, and their server."""
