"""Jobs over the REST API: routes, schemas and what may stand in a field."""
