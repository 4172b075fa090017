"""scikit-learn's isolation forest as one ONNX tree-ensemble operator on the raw features: the fastest form that an expert would give it."""
import numpy as np
import onnx
from onnx import TensorProto, helper
from sklearn.ensemble._iforest import _average_path_length


def write(forest, scaler, path):
    """Writes `forest`, which was fitted on what `scaler` gives. The result is `-decision_function`, one number a row, input float32."""
    # One TreeEnsembleRegressor: a leaf's weight is its path length, cuts are moved back to the raw features. skl2onnx would emit dozens of
    # operators for the same forest, and is several times slower.
    keys = (
        "nodes_treeids nodes_nodeids nodes_featureids nodes_modes nodes_values nodes_truenodeids nodes_falsenodeids "
        "target_treeids target_nodeids target_ids target_weights"
    ).split()
    table = {key: [] for key in keys}
    for number, (estimator, columns) in enumerate(zip(forest.estimators_, forest.estimators_features_)):
        tree = estimator.tree_
        depth = np.zeros(tree.node_count)
        for node in range(tree.node_count):
            is_leaf = tree.children_left[node] < 0
            feature = 0 if is_leaf else int(columns[tree.feature[node]])
            table["nodes_treeids"].append(number)
            table["nodes_nodeids"].append(node)
            table["nodes_featureids"].append(feature)
            table["nodes_modes"].append("LEAF" if is_leaf else "BRANCH_LEQ")
            table["nodes_values"].append(0.0 if is_leaf else float(tree.threshold[node] * scaler.scale_[feature] + scaler.mean_[feature]))
            table["nodes_truenodeids"].append(0 if is_leaf else int(tree.children_left[node]))
            table["nodes_falsenodeids"].append(0 if is_leaf else int(tree.children_right[node]))
            if is_leaf:
                table["target_treeids"].append(number)
                table["target_nodeids"].append(node)
                table["target_ids"].append(0)
                table["target_weights"].append(float(depth[node] + _average_path_length(np.array([tree.n_node_samples[node]]))[0]))
            else:
                depth[tree.children_left[node]] = depth[tree.children_right[node]] = depth[node] + 1
    scale = -np.log(2) / (len(forest.estimators_) * _average_path_length(np.array([forest._max_samples]))[0])
    graph = helper.make_graph(
        [
            helper.make_node("TreeEnsembleRegressor", ["x"], ["depth"], domain="ai.onnx.ml", n_targets=1, **table),
            helper.make_node("Mul", ["depth", "scale"], ["scaled"]),
            helper.make_node("Exp", ["scaled"], ["raw"]),
            helper.make_node("Sub", ["minus_offset", "raw"], ["score"]),
        ],
        "forest",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, len(scaler.scale_)])],
        [helper.make_tensor_value_info("score", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale]),
            helper.make_tensor("minus_offset", TensorProto.FLOAT, [1], [-forest.offset_]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15), helper.make_opsetid("ai.onnx.ml", 3)], ir_version=8)
    onnx.save(model, path)
