"""Chart definitions: data only. `agent.core.chart` reads them."""
