"""The plugin host: discovery, validation, registry, selection, building."""
