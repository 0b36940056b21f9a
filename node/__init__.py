"""The node of one organisation: five floors, each importing only those below it (ARCHITECTURE.md draws the map)."""
