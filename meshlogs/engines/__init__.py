"""Where the parts of an export are read and its groups judged: on this machine, or on a Dask cluster."""

from meshlogs.errors import WorkerError

# Seconds to connect to a cluster.
CONNECT_S = 20


def engine_of(engine):
    """The engine that someone names: None for this machine, a scheduler's address, or a `distributed.Client`.

    Raises WorkerError for an address at which no scheduler answers, or if Dask is not installed.
    """
    if engine is None:
        from meshlogs.engines.local import Local

        return Local()
    if hasattr(engine, "load"):
        return engine
    from meshlogs.engines.cluster import Dask

    if not isinstance(engine, str):
        return Dask(engine)
    try:
        from distributed import Client, Security
        from distributed.comm import connect
        from distributed.utils import LoopRunner
    except ImportError as error:
        advice = "Install the extra: pip install 'meshlogs[cluster]'."
        raise WorkerError(engine, "Dask is not installed", advice) from error

    async def ask():
        comm = await connect(engine, timeout=CONNECT_S, **Security().get_connection_args("client"))
        await comm.close()

    try:
        # A Client that fails to connect is left to the garbage collector, which can stop the next Client for ever:
        # its end takes the lock that the other's beginning holds.
        LoopRunner().run_sync(ask)
        return Dask(Client(engine, timeout=CONNECT_S))
    except (OSError, TimeoutError, ValueError) as error:
        advice = "Give the address that 'dask scheduler' prints, such as tcp://10.0.0.5:8786."
        raise WorkerError(engine, "no scheduler answers there", advice) from error
