"""``azure.durable_functions`` as a facade of this package, so that apps written for it run unmodified.

``import durable_core.azure_alias`` puts it in place. What is different under these names is decided by the dialect
in ``app.py``; everything else is the programming model of ``durable_core.model``.
"""
