"""Autologging as MLflow's own examples do it. Usage: autologging.py URI NAME"""

import sys

import lightgbm
import mlflow
import numpy as np
import xgboost
from mlflow import MlflowClient
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

uri, name = sys.argv[1:]
mlflow.set_tracking_uri(uri)
mlflow.set_experiment(name)
X, y = make_classification(200, 5, random_state=0)

mlflow.sklearn.autolog(log_models=False)
with mlflow.start_run(run_name="search"):
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(X, y)
with mlflow.start_run(run_name="scored"):
    fitted = LogisticRegression(C=0.5).fit(X, y)
    fitted.score(X[:50], y[:50])  # autologging adds the metric
mlflow.sklearn.autolog(disable=True)

mlflow.lightgbm.autolog(log_models=False)
with mlflow.start_run(run_name="boosted"):
    rows = lightgbm.Dataset(X, y)
    lightgbm.train({"objective": "binary", "verbose": -1}, rows, 3, valid_sets=[rows])
mlflow.lightgbm.autolog(disable=True)

mlflow.xgboost.autolog(log_models=False)
with mlflow.start_run(run_name="xgb"):
    rows = xgboost.DMatrix(X, y)
    parameters = {"objective": "binary:logistic", "max_depth": 2}
    xgboost.train(parameters, rows, 3, evals=[(rows, "train")], verbose_eval=False)
mlflow.xgboost.autolog(disable=True)

with mlflow.start_run(run_name="outer"):
    for number in range(2):
        with mlflow.start_run(run_name=f"inner {number}", nested=True):
            mlflow.log_param("number", number)
            mlflow.log_metric("loss", 1 / (number + 1))

with mlflow.start_run(run_name="kept") as run:
    mlflow.log_input(mlflow.data.from_numpy(np.asarray(X), targets=y, name="made"), "training")
    info = mlflow.sklearn.log_model(fitted, name="model", pip_requirements=["scikit-learn"])
version = mlflow.register_model(info.model_uri, name).version
client = MlflowClient()
client.set_registered_model_alias(name, "champion", version)
client.set_model_version_tag(name, version, "checked", "by hand")
mlflow.register_model(f"runs:/{run.info.run_id}/model", name)
