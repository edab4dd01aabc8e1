"""What can be asked for: every path, its method, and the kind of key that it takes."""

from service.api_keys import Needs
from service.inference_protocol.paths import PATH_NEEDS, PATHS

PREDICT = "/predict"
USERS = "/users/{user_id}"
DOCS_FILE = "/docs/{file}"
ROUTES = {
    "/": "GET",
    PREDICT: "POST",
    "/events": "POST",
    USERS: "DELETE",
    "/status": "GET",
    "/metrics": "GET",
    "/openapi.json": "GET",
    "/docs": "GET",
    DOCS_FILE: "GET",
    "/livez": "GET",
    "/readyz": "GET",
    "/healthz": "GET",
    **PATHS,
}
"""Every path there is and its method; BentoML answers /livez, /readyz and /healthz."""

NEEDS: dict[str, Needs] = {
    PREDICT: "api",
    "/events": "admin",
    USERS: "admin",
    "/status": "api",
    "/metrics": "api",
    "/openapi.json": "api",
    "/docs": "none",
    DOCS_FILE: "none",
    "/": "api",
    **PATH_NEEDS,
}
"""The kind of key that each route asks for, once there are keys: "admin" for what writes or is about a user,
"none" for what is the same everywhere."""

OTHER = "other"
"""What metrics call the route of all that asks for none of these."""
