"""When the app has come to rest, and what it can and cannot know about that."""

__all__: list[str] = []
