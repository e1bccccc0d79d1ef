"""Pictures and pages for people: contact sheets of preference pairs."""
