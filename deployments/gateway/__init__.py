"""The serving gateway: MLflow's scoring protocol over verified bytes, with a shadow mirror."""
