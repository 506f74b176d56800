"""``make study``: the three claims - drift, geometry, risk tasks - on open data, with baselines and every ablation arm."""
