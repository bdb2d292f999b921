"""Runs a function in a thread and hands on how it ended."""

import threading


def in_background(function, *arguments, **options):
    """Return a function that waits for the thread and returns what it returned, or raises what it raised."""
    outcome = {}

    def work():
        try:
            outcome["value"] = function(*arguments, **options)
        except Exception as error:  # noqa: BLE001 - raised again where the result is asked for
            outcome["error"] = error

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def result(seconds=20):
        thread.join(seconds)
        assert not thread.is_alive(), "still waiting"
        if "error" in outcome:
            raise outcome["error"]
        return outcome["value"]

    return result
