"""The small apps that the tests drive."""
