# %%
import numpy as np
from sklearn.datasets import load_iris, make_regression
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import classification_report, confusion_matrix
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

iris = load_iris(as_frame=True)
iris.frame.head(3)
# %%
X_train, X_test, y_train, y_test = train_test_split(iris.data, iris.target, random_state=0)
model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
model.fit(X_train, y_train).score(X_test, y_test)
# %%
repr(model)
# %%
confusion_matrix(y_test, model.predict(X_test))
# %%
print(classification_report(y_test, model.predict(X_test), target_names=list(iris.target_names)))
# %%
cross_val_score(RandomForestClassifier(20, random_state=0), iris.data, iris.target, cv=3).round(3)
# %%
X, y = make_regression(100, 3, noise=1, random_state=2)
LinearRegression().fit(X, y).coef_.round(2)
# %%
from joblib import Parallel, delayed
Parallel(n_jobs=2, prefer="threads")(delayed(abs)(-i) for i in range(4))
# %%
LinearRegression().predict(X)
