"""The columns that scripts rely on, as the documentation has them."""

from __future__ import annotations

import pytest

from dlx.records.tables import ACTIVATIONS, GRADIENTS, LAYERS, METRICS, TIMING, Table, metrics_table


def test_columns() -> None:
    assert METRICS.header == (
        b"stage,epoch,step,train_loss,train_accuracy,val_loss,val_accuracy,test_loss,test_accuracy,learning_rate\n"
    )
    assert GRADIENTS.header == (b"stage,epoch,step,layer,name,parameter,source,grad_norm,weight_norm,update_ratio\n")
    assert ACTIVATIONS.header == b"stage,epoch,step,layer,name,mean,std,saturated,dead\n"
    assert TIMING.header == b"stage,epoch,seconds,examples_per_second\n"
    assert LAYERS.header.startswith(b"layer,name,type,output_shape,parameters,multiply_adds")


def test_metrics_of_many_classes_are_appended() -> None:
    assert metrics_table("classification", 10) == METRICS
    many = metrics_table("classification", 11).columns
    assert many[: len(METRICS.columns)] == METRICS.columns
    assert many[len(METRICS.columns) :] == ("train_top5_accuracy", "val_top5_accuracy", "test_top5_accuracy")


def test_metrics_of_regression() -> None:
    assert metrics_table("regression", 1).header == (
        b"stage,epoch,step,train_loss,train_mae,train_rmse,train_r2,val_loss,val_mae,val_rmse,val_r2,"
        b"test_loss,test_mae,test_rmse,test_r2,learning_rate\n"
    )


def test_the_probes_write_the_documented_columns() -> None:
    from dlx.probes import activations, gradients, predictions
    from dlx.spec import load_text

    setting = load_text("model: mlp").trials[0].setting
    assert tuple(gradients.Spec().tables(setting)["gradients"]) == GRADIENTS.columns
    assert tuple(activations.Spec().tables(setting)["activations"]) == ACTIVATIONS.columns
    assert gradients.Spec(units=3).tables(setting)["gradient_units"] == (
        "stage", "epoch", "step", "layer", "name", "unit", "bias_grad", "kernel_grad_norm",
    )  # fmt: skip
    assert predictions.Spec().tables(setting)["predictions"][:4] == ("id", "label", "predicted", "probability_0")


def test_rows() -> None:
    table = Table("t", ("a", "b", "c"))
    assert table.row({"c": 1.5, "a": "x,y"}) == b'"x,y",,1.5\n'
    with pytest.raises(ValueError, match=r"t\.csv has no column d"):
        table.row({"d": 1})
    assert table.with_columns("b", "d", "d").columns == ("a", "b", "c", "d")
