"""What can only be seen in a browser: real Chromium, driven with Selenium."""
