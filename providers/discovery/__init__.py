"""Providers that are found: a registry, Consul, Kubernetes, and the model lists of providers we know.

found        what a source shows, checked                      (pure)
registry     a JSON list at a URL
consul       services with a tag, by the health API
kubernetes   Services or EndpointSlices with labels
model_lists  what each provider says it serves
reconcile    what is known + what was found → what to do       (pure)
adoption     decisions into rows
live_rows    what is live of them: providers, keys, models
looking      one look at every source, one change at the end
"""
