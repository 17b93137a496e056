"""Events by name, for `asyncsdk send --example`: those of an online shop, in RudderStack's words. Pure.

Source: https://www.rudderstack.com/docs/event-spec/ecommerce-events-spec/.
"""

from collections.abc import Mapping
from typing import Any

_PRODUCT = {"product_id": "p-1", "sku": "TEA-1", "name": "Teapot", "price": 25.0, "quantity": 1}
_USER = {"user_id": "example-user"}

EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "signed_up": {"type": "track", "name": "Signed Up", **_USER, "properties": {"plan": "free"}},
    "identify": {"type": "identify", **_USER, "properties": {"email": "ada@example.com", "plan": "free"}},
    "page_viewed": {"type": "page", "name": "Home", **_USER, "properties": {"url": "https://shop.example/"}},
    "product_viewed": {"type": "track", "name": "Product Viewed", **_USER, "properties": _PRODUCT},
    "product_added": {"type": "track", "name": "Product Added", **_USER, "properties": _PRODUCT},
    "order_completed": {
        "type": "track",
        "name": "Order Completed",
        **_USER,
        "properties": {"order_id": "o-1", "revenue": 25.0, "currency": "EUR", "products": [_PRODUCT]},
    },
    "order_refunded": {"type": "track", "name": "Order Refunded", **_USER, "properties": {"order_id": "o-1"}},
}
