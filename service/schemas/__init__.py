"""The JSON that goes in and out, one module per resource."""
