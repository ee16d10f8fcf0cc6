"""Every websocket route of an app, driven with messages that it did not expect."""

__all__: list[str] = []
