"""The sample app: one blueprint per pattern of Durable Functions."""

import azure.functions as func

import durable_core as df
from functions import (
    aggregator,
    approval,
    counter,
    fan_out_fan_in,
    hello_sequence,
    http_polling,
    http_start,
    monitor,
    transfer,
)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

PATTERNS = (
    hello_sequence,
    fan_out_fan_in,
    http_polling,
    monitor,
    approval,
    counter,
    transfer,
    aggregator,
    http_start,
)

for pattern in PATTERNS:
    app.register_blueprint(pattern.bp)
