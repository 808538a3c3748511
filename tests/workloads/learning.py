# SPDX-License-Identifier: Apache-2.0
"""scikit-learn: models, pipelines, and searches in several processes."""
# needs: sklearn
# without: restricted (its processes share semaphores by /dev/shm)

import joblib
import numpy as np
from sklearn.cluster import KMeans
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def main():
    x, y = make_classification(800, 20, n_informative=8, random_state=7)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=7)
    for model in (
        make_pipeline(StandardScaler(), PCA(10), LogisticRegression()),
        RandomForestClassifier(50, n_jobs=2, random_state=7),
        HistGradientBoostingClassifier(max_iter=20, random_state=7),
    ):
        assert model.fit(x_train, y_train).score(x_test, y_test) > 0.7
    search = GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0, 10.0]}, n_jobs=2).fit(x_train, y_train)
    joblib.dump(search.best_estimator_, "model.joblib")
    assert np.array_equal(joblib.load("model.joblib").predict(x_test), search.predict(x_test))
    assert len(set(KMeans(4, n_init=2, random_state=7).fit_predict(x))) == 4
    from joblib.externals.loky import get_reusable_executor

    get_reusable_executor().shutdown(wait=True)


if __name__ == "__main__":
    main()
