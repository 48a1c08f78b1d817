"""What a number was made with."""

import getpass
import json
import socket

from gapbench.results.environment import environment


def test_the_environment_names_no_host_and_no_user():
    text = json.dumps(environment())
    assert "numpy" in text
    assert socket.gethostname() not in text
    assert getpass.getuser() not in text
