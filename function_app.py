"""The sample app: one blueprint per pattern of Durable Functions."""

import azure.functions as func

import durable_core as df
from functions import (
    aggregator,
    approval,
    counter,
    eternal_cleanup,
    fan_out_fan_in,
    hello_sequence,
    http_polling,
    http_start,
    monitor,
    retry_and_compensate,
    sub_orchestration,
    transfer,
    versioned,
)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

PATTERNS = (
    hello_sequence,
    fan_out_fan_in,
    http_polling,
    monitor,
    approval,
    sub_orchestration,
    eternal_cleanup,
    retry_and_compensate,
    versioned,
    counter,
    transfer,
    aggregator,
    http_start,
)

for pattern in PATTERNS:
    app.register_blueprint(pattern.bp)
