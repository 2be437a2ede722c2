"""The sample app: one blueprint per pattern of Durable Functions."""

import azure.functions as func

import durable_core as df
from functions import (
    aggregator,
    approval,
    counter,
    fan_out_fan_in,
    hello_sequence,
    http_start,
    monitor,
    transfer,
)

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)

for pattern in (hello_sequence, fan_out_fan_in, monitor, approval, counter, transfer, aggregator, http_start):
    app.register_blueprint(pattern.bp)
