"""What other testing tools can do, done with this one: a test for each capability."""
