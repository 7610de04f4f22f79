"""How few hidden nodes suffice? A grid search over relays and network size, in a pipeline."""

from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from relayestimators import GRUClassifier, RelayAnalyzer, load_panel

X_train, y_train, X_test, y_test = load_panel("ItalyPowerDemand")
pipeline = make_pipeline(
    RelayAnalyzer(GRUClassifier(max_epochs=30, random_state=0), random_state=0),
    LogisticRegression(),
)
grid = {
    "relayanalyzer__n_relays": [1, 2, 4],
    "relayanalyzer__estimator__module__hidden_size": [8, 16],
}
search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2).fit(X_train, y_train)
for options, score in zip(
    search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True
):
    print(f"{score:.3f}", options)
print(f"best on the test set: {search.score(X_test, y_test):.3f}")
