"""The table of a network's blocks is read off the network, and leaves it as it was."""

import pytest

import elit_helpers as eh
from elit_helpers.ensemble import networks

SMALL = eh.TrainSettings(filters=2)


@pytest.fixture(scope="module")
def net():
    with networks.contained():
        return networks.fresh_net(n_classes=1, settings=SMALL)


def test_the_weights_of_all_blocks_are_those_of_the_network(net):
    table = eh.network_layers(net)
    assert table.weights.sum() == sum(p.numel() for p in net.parameters())
    assert eh.network_layers(SMALL).equals(table)


def test_a_u_net_halves_its_picture_thrice_and_ends_at_its_size(net):
    table = eh.network_layers(net, side=32)
    assert table.side.tolist() == [32, 16, 8, 4, 8, 8, 16, 16, 32, 32, 32]
    assert table.channels.iloc[[0, -1]].tolist() == [2, 1]


def test_looking_changes_neither_statistics_nor_mode_and_leaves_no_hook(net):
    before = {name: value.clone() for name, value in net.state_dict().items()}
    net.train()
    eh.network_layers(net)
    assert net.training
    assert all(value.equal(before[name]) for name, value in net.state_dict().items())
    assert not any(block._forward_hooks for block in net.modules())


def test_what_is_no_network_and_no_multiple_of_eight_is_refused(net):
    with pytest.raises(TypeError, match="`net` is a dict; pass TrainSettings or a torch.nn.Module"):
        eh.network_layers({})
    with pytest.raises(ValueError, match="`side` is 60; it must be a multiple of 8"):
        eh.network_layers(net, side=60)
