"""The sections of the configuration, one module each: frozen, checked, with their units."""
