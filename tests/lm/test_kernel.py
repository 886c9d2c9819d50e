"""The compiled product of int8 weights against a slow, obvious one, on every path that this processor has."""

import ctypes
import os
import shutil
import time

import pytest
import torch

from spa_lsp.lm import kernel as module
from spa_lsp.lm.int8 import Int8Linear, pack, quantize, restore, unpack
from spa_lsp.lm.kernel import KEPT_S, PATHS, Kernel, NoKernel, build_kernel, find_kernel, openmp_runtimes

SHAPES = [(16, 32), (128, 96), (1, 1), (17, 33), (40, 5), (333, 100)]


@pytest.fixture
def library(compiled, homes, monkeypatch):
    monkeypatch.setenv("SPA_CACHE", str(compiled))
    try:
        return ctypes.CDLL(str(build_kernel()))
    except NoKernel as error:
        pytest.skip(str(error))


@pytest.fixture(params=PATHS)
def kernel(request, library):
    if library.spa_best_path() < PATHS.index(request.param):
        pytest.skip(f"this processor has no {request.param}")
    return Kernel(library, request.param)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear(kernel, weight, bias=None):
    return Int8Linear(*pack(*quantize(weight)), bias, tuple(weight.shape), product=kernel.linear)


def slow(x, weight, bias=None):
    numbers, scales = quantize(weight)
    y = x.double() @ restore(numbers, scales)[:, : weight.shape[1]].double().T
    return y if bias is None else y + bias


@pytest.mark.parametrize("n_rows", [1, 2, 3, 4, 5, 6, 7, 8, 9, 17])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_kernel_gives_the_product_in_float64(kernel, shape, n_rows):
    weight, x, bias = random(*shape), random(n_rows, shape[1], seed=1), random(shape[0], seed=2)
    expected = slow(x, weight, bias)
    torch.testing.assert_close(linear(kernel, weight, bias)(x).double(), expected, rtol=0, atol=2e-4 * shape[1] ** 0.5)


def test_any_leading_dimensions_are_kept(kernel):
    weight, x = random(20, 40), random(2, 3, 40, seed=1)
    torch.testing.assert_close(linear(kernel, weight)(x), slow(x, weight).float(), rtol=0, atol=2e-3)
    assert linear(kernel, weight)(x[:0]).shape == (0, 3, 20)


def test_an_input_that_is_not_contiguous_gives_the_same(kernel):
    weight, x = random(20, 40), random(40, 5, seed=1)
    assert torch.equal(linear(kernel, weight)(x.T), linear(kernel, weight)(x.T.contiguous()))


def test_it_works_under_inference_mode(kernel):
    with torch.inference_mode():
        assert linear(kernel, random(20, 40))(random(1, 40)).is_inference()


def test_a_row_gives_the_same_however_many_there_are(kernel):
    layer, x = linear(kernel, random(48, 320)), random(17, 320, seed=1)
    assert torch.equal(layer(x), torch.cat([layer(row[None]) for row in x]))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_spoil_their_row_and_no_other(kernel, bad):
    layer, x = linear(kernel, random(20, 64)), random(9, 64, seed=1)
    good = layer(x)
    x[4, 7] = bad
    spoiled = layer(x)
    assert not spoiled[4].isfinite().any()
    assert torch.equal(spoiled[[0, 3, 5, 8]], good[[0, 3, 5, 8]])


@pytest.mark.parametrize("size", [0.0, 1e-40, 1e-20, 1e20])
def test_very_small_and_very_large_activations_keep_their_size(kernel, size):
    layer, x = linear(kernel, random(20, 64)), random(1, 64, seed=1)
    torch.testing.assert_close(layer(x * size), layer(x) * size, rtol=1e-4, atol=1e-35)


def test_all_paths_give_the_same(library):
    weight, x = random(48, 96), random(9, 96, seed=1)
    paths = PATHS[: library.spa_best_path() + 1]
    found = [linear(Kernel(library, path), weight)(x) for path in paths]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], rtol=1e-5, atol=1e-5)


def test_packing_can_be_undone():
    weight = random(40, 100)
    numbers, scales = quantize(weight)
    assert torch.equal(unpack(*pack(numbers, scales), (40, 100)), restore(numbers, scales)[:, :100])


def test_a_quantized_weight_is_off_by_half_a_step_at_most():
    weight = random(16, 64) * torch.logspace(-6, 3, 16)[:, None]
    numbers, scales = quantize(weight)
    steps = scales.float().repeat_interleave(32, 1)
    assert ((restore(numbers, scales) - weight).abs() <= steps * 0.5001).all()
    assert (scales.float() <= weight.view(16, 2, 32).abs().amax(-1) / 127 * 1.001 + 6e-8).all()


def test_there_is_one_openmp_in_the_process(kernel):
    linear(kernel, random(20, 64))(random(9, 64))
    assert len(openmp_runtimes()) <= 1


def test_torch_says_which_instructions_may_be_used(library, monkeypatch):
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", "default")
    assert Kernel(library).path == "plain"


def test_the_library_is_compiled_once(library, monkeypatch):
    first = build_kernel()
    monkeypatch.setattr(module, "_compile", lambda *_: pytest.fail("compiled again"))
    assert build_kernel() == first


def test_a_damaged_library_is_compiled_again(library, compiled, tmp_path, monkeypatch):
    shutil.copytree(compiled, tmp_path / "copy")
    monkeypatch.setenv("SPA_CACHE", str(tmp_path / "copy"))
    path = build_kernel()
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    monkeypatch.setattr(module, "_compile", lambda _source, target, _compilers: target.write_bytes(whole))
    assert build_kernel().read_bytes() == whole


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Build in a cache of its own, with a compiler that writes a few bytes."""
    monkeypatch.setenv("SPA_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "_compile", lambda _sources, target, _compilers: target.write_bytes(b"library"))
    return build_kernel


def lay(folder, name, *, age_s=0.0):
    """A file that was neither written nor read for so long."""
    path = folder / name
    path.write_bytes(b"")
    os.utime(path, times=2 * (time.time() - age_s,))
    return path


# issue 12
def test_what_other_versions_built_goes_when_nobody_used_it_for_long(build):
    path = build()
    path.unlink()  # or nothing would be built
    folder = path.parent
    for name in ("int8-0.so", "int8-0.sha256", "other.so"):
        lay(folder, name, age_s=KEPT_S + 60)
    lay(folder, "int8-1.so", age_s=KEPT_S - 60)
    build()
    own = {path.name, path.with_suffix(".sha256").name}
    assert {each.name for each in folder.iterdir()} == {"int8-1.so", "other.so", *own}


# issue 12
def test_a_library_that_is_used_is_not_old(build):
    path = build()
    os.utime(path, times=(0, 0))
    assert build() == path and path.stat().st_mtime > time.time() - KEPT_S


def test_without_a_compiler_there_is_no_kernel():
    with pytest.raises(NoKernel, match="no C\\+\\+ compiler"):
        build_kernel(compilers=["there-is-none"])


def test_a_compiler_that_fails_is_named_with_what_it_said(tmp_path):
    program = tmp_path / "c++"
    program.write_text("#!/bin/sh\necho 'internal error: broken' >&2\nexit 4\n")
    program.chmod(0o755)
    with pytest.raises(NoKernel, match="internal error: broken"):
        build_kernel(compilers=[str(program)])


def test_a_folder_that_others_may_write_to_is_not_used():
    from spa_lsp import paths

    folder = paths.cache_dir() / "kernels"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with pytest.raises(NoKernel, match="others can write in"):
        build_kernel()


def test_a_path_that_the_processor_lacks_is_refused(library):
    class Old:
        spa_best_path = staticmethod(lambda: 0)
        spa_linear = library.spa_linear

    with pytest.raises(ValueError, match="no 'avx2'"):
        Kernel(Old(), "avx2")


def test_the_kernel_is_found_again_without_being_loaded_twice(library):
    find_kernel.cache_clear()
    try:
        assert find_kernel() is find_kernel()
    finally:
        find_kernel.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("SPA_CACHE", str(tmp_path))

    def fail(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryDirectory", fail)
    with pytest.raises(NoKernel, match="cannot be written .Read-only"):
        build_kernel()
