"""What goes over the API: one file a resource, frozen Structs that are the schema in `rpc.discover`.

A field once here keeps its name and meaning. Imports msgspec alone.
"""
