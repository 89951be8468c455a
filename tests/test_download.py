"""Downloads from a server on this machine that cuts connections, knows no ranges, announces wrong lengths,
sends something else, hangs or is not there."""
import functools
import hashlib
import random
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import coco
import pytest

from hi3_nb.images import ImageError

DATA = random.Random(0).randbytes(900_000)
OTHER = random.Random(1).randbytes(900_000)
MD5, SIZE = hashlib.md5(DATA).hexdigest(), len(DATA)


class Server(ThreadingHTTPServer):
    """Answers with `content`, in ways that `plan` lists, one for each request and the last for all that follow:
    status; ranges: whether it knows them; cut: bytes after which it hangs up; length: the Content-Length (None: none);
    first: where a range begins, if not where it was asked for; hang: seconds without a byte, half-way."""
    def __init__(self):
        super().__init__(('127.0.0.1', 0), Handler)
        self.content, self.plan, self.ranges, self.sent = DATA, [{}], [], 0 # ranges: what was asked for
        self.url = f'http://127.0.0.1:{self.server_port}/a.zip'
    def handle_error(self, request, address): pass # clients hang up here


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *a): pass

    def do_GET(self):
        s = self.server
        how = s.plan.pop(0) if len(s.plan) > 1 else s.plan[0]
        asked = re.fullmatch(r'bytes=(\d+)-', self.headers.get('Range', ''))
        s.ranges.append(asked and int(asked[1]))
        first = int(asked[1]) if asked and how.get('ranges', True) else 0
        if how.get('status'): return self.send_error(how['status'])
        if first >= len(s.content):
            self.send_response(416)
            self.send_header('Content-Range', f'bytes */{len(s.content)}')
            return self.end_headers()
        self.send_response(206 if first else 200)
        begin = how.get('first', first)
        if first: self.send_header('Content-Range', f'bytes {begin}-{len(s.content) - 1}/{len(s.content)}')
        body = s.content[begin:]
        if (length := how.get('length', len(body))) is not None: self.send_header('Content-Length', str(length))
        self.end_headers()
        body = body[:how.get('cut')]
        for part in (body[:len(body) // 2], body[len(body) // 2:]):
            self.wfile.write(part)
            self.wfile.flush()
            s.sent += len(part)
            time.sleep(how.get('hang', 0))


@pytest.fixture
def server():
    with Server() as s:
        threading.Thread(target=s.serve_forever, args=(.01,), daemon=True).start()
        yield s
        s.shutdown()


@pytest.fixture
def path(tmp_path): return tmp_path/'new'/'a.zip'


@pytest.fixture
def fetch(server, path):
    "Fetch what is pinned; the folder holds it afterwards, and nothing else."
    def f(size=SIZE, **kw):
        coco.download(server.url, path, MD5, size, **{**dict(timeout=10, pause=0), **kw})
        assert path.read_bytes() == DATA and list(path.parent.iterdir()) == [path]
    return f


@pytest.fixture
def refused(server, path, fetch):
    "The download fails with these words, and nothing has the final name. What is kept of it is given back."
    def f(error, says, **kw):
        with pytest.raises(error, match=says): fetch(**kw)
        assert not path.exists() and {p.name for p in path.parent.iterdir()} <= {'a.zip.part'}
        part = path.with_name('a.zip.part')
        return part.read_bytes() if part.exists() else None
    return f


def keep(path, content):
    path.parent.mkdir()
    path.with_name('a.zip.part').write_bytes(content)


def settled(server):
    "How many bytes were sent: the server counts them after the client may already have them."
    time.sleep(.2)
    return server.sent


@pytest.mark.parametrize('size', [SIZE, None])
def test_cut_connections_go_on(server, fetch, size):
    server.plan = [dict(cut=200_000), dict(cut=1), dict(cut=300_000), {}]
    fetch(size)
    assert server.ranges == [None, 200_000, 200_001, 500_001] and settled(server) == SIZE, 'no byte is fetched twice'


@pytest.mark.parametrize('size', [SIZE, None])
def test_kept_part_goes_on(server, path, fetch, size):
    keep(path, DATA[:SIZE - 5])
    fetch(size)
    assert server.ranges == [SIZE - 5] and settled(server) == 5


@pytest.mark.parametrize('size, ranges', [(SIZE, []), (None, [SIZE])])
def test_killed_between_last_byte_and_name(server, path, fetch, size, ranges):
    keep(path, DATA)
    fetch(size)
    assert server.ranges == ranges and not server.sent


def test_server_without_ranges_sends_all_again(server, path, fetch):
    keep(path, OTHER[:300_000]) # even if it was something else
    server.plan = [dict(ranges=False, cut=500_000), dict(ranges=False)]
    fetch()
    assert server.ranges == [300_000, 500_000] and settled(server) == 500_000 + SIZE


def test_range_from_before_is_taken(server, path, fetch):
    keep(path, DATA[:300_000])
    server.plan = [dict(first=100_000)]
    fetch()


def test_range_with_a_gap_is_refused(server, path, refused):
    keep(path, DATA[:300_000])
    server.plan = [dict(first=300_001)]
    assert refused(ImageError, 'from byte 300001') == DATA[:300_000]


def test_part_longer_than_the_file(server, path, fetch):
    keep(path, DATA + b'x')
    fetch()
    assert server.ranges == [None]


def test_server_with_a_shorter_file(server, path, fetch, refused):
    keep(path, DATA[:800_000])
    server.content = DATA[:700_000]
    refused(ImageError, '700000 bytes, not 900000') # 416, then its length
    server.content = DATA
    fetch()


@pytest.mark.parametrize('how', [dict(length=1000), dict(length=SIZE + 1000), dict(length=0)])
def test_wrong_length_is_refused_before_anything_is_fetched(server, path, refused, how):
    server.plan = [dict(how, ranges=False)] # such as the page of a hotel's network
    keep(path, DATA[:300_000])
    assert refused(ImageError, f'{how["length"]} bytes, not {SIZE}; not the pinned archive') == DATA[:300_000]
    assert len(server.ranges) == 1


def test_wrong_length_of_a_range(server, path, fetch):
    keep(path, DATA[:300_000])
    server.plan = [dict(length=1000), dict(length=SIZE), {}]
    fetch()
    assert server.ranges == [300_000, 301_000]


def test_file_that_grows_past_the_pinned_size(server, refused):
    server.content, server.plan = DATA + OTHER*20, [dict(length=None)]
    refused(ImageError, f'more than {SIZE} bytes')
    assert server.sent < len(server.content), 'it hung up'


@pytest.mark.parametrize('size', [SIZE, None])
def test_content_without_a_length(server, fetch, refused, size):
    server.plan = [dict(length=None)]
    fetch(size)


def test_content_that_changed_in_between(server, path, fetch, refused):
    keep(path, OTHER[:300_000])
    says = 'md5 .* not the official archive; it is removed, and the next download begins anew'
    assert refused(ImageError, says) is None
    fetch()
    assert server.ranges == [300_000, None]


def test_wrong_content(server, fetch, refused):
    server.content = OTHER
    assert refused(ImageError, 'md5') is None
    server.content = DATA
    fetch()


def test_server_that_hangs(server, fetch):
    server.plan = [dict(hang=2), {}]
    begin = time.monotonic()
    fetch(timeout=.3)
    assert server.ranges == [None, SIZE // 2] and time.monotonic() - begin < 2


def test_busy_server(server, fetch):
    server.plan = [dict(status=503), dict(status=429), dict(status=500), {}]
    fetch()


@pytest.mark.parametrize('status', [403, 404])
def test_missing_file(server, refused, status):
    server.plan = [dict(status=status)]
    refused(ImageError, str(status))
    assert len(server.ranges) == 1, 'asking again would not help'


def test_gives_up_and_keeps_what_came(server, fetch, refused):
    server.plan = [dict(cut=400_000), dict(cut=0)]
    assert refused(OSError, '400000 bytes are kept', tries=3) == DATA[:400_000] and len(server.ranges) == 4
    server.plan = [{}]
    fetch()
    assert settled(server) == SIZE


def test_pauses_grow(server, refused, monkeypatch):
    pauses = []
    def sleep(seconds): # the server's thread shares the module
        if threading.current_thread() is threading.main_thread(): pauses.append(seconds)
    monkeypatch.setattr(coco.time, 'sleep', sleep)
    server.plan = [dict(status=503)]
    refused(OSError, '503', pause=4, tries=7)
    assert pauses == [4, 8, 16, 32, 60, 60]


def test_no_server(server, path):
    server.server_close()
    with pytest.raises(OSError, match='0 bytes are kept'):
        coco.download(server.url, path, MD5, SIZE, pause=0, tries=2)


def test_file_for_an_address(tmp_path, path):
    (tmp_path/'source.zip').write_bytes(DATA)
    keep(path, DATA[:300_000]) # files know no ranges
    coco.download((tmp_path/'source.zip').as_uri(), path, MD5, SIZE)
    assert path.read_bytes() == DATA
    (tmp_path/'source.zip').write_bytes(OTHER)
    with pytest.raises(ImageError, match='not the official archive'):
        coco.download((tmp_path/'source.zip').as_uri(), path.with_name('b.zip'), MD5, SIZE)
    assert list(path.parent.iterdir()) == [path]


def test_two_at_once(server, path, refused):
    server.plan = [dict(hang=.4)]
    first = threading.Thread(target=coco.download, args=(server.url, path, MD5, SIZE))
    first.start()
    while not server.ranges: time.sleep(.01)
    with pytest.raises(BlockingIOError, match='another run'): coco.download(server.url, path, MD5, SIZE)
    first.join()
    assert path.read_bytes() == DATA and len(server.ranges) == 1
    coco.download(server.url, path, MD5, SIZE) # there already
    assert len(server.ranges) == 1


@pytest.fixture
def pinned(server, tmp_path):
    "A file that pins the server's archive, and the command that fetches it."
    file = tmp_path/'pins.dvc'
    file.write_text(f'deps:\n- path: {server.url}\nouts:\n- path: coco/a.zip\n  md5: {MD5}\n  size: {SIZE}\n')
    return functools.partial(coco.main, ['a', '--pins', str(file)])


def test_command(server, pinned, tmp_path, capfd):
    server.content = OTHER
    assert pinned() == 2
    out, err = capfd.readouterr()
    assert out == '' and err.startswith('coco.py: ') and err.count('\n') == 1 and 'a.zip.part: md5' in err
    server.content = DATA
    assert pinned() == 0 and capfd.readouterr() == (f'{tmp_path}/coco/a.zip\n', '')
    assert [p.name for p in (tmp_path/'coco').iterdir()] == ['a.zip'] and (tmp_path/'coco'/'a.zip').read_bytes() == DATA


def test_command_with_the_archive_there(server, pinned, tmp_path, capfd):
    (tmp_path/'coco').mkdir()
    (tmp_path/'coco'/'a.zip').touch()
    assert pinned() == 0 and capfd.readouterr() == (f'{tmp_path}/coco/a.zip\n', '') and not server.ranges


@pytest.mark.parametrize('content, says', [(None, 'No such file'), ('', 'not a file that pins archives'),
    ('outs: []', 'not a file that pins archives'), ('deps: []\nouts: []', 'nothing: '), ('{', 'not a file that pins')])
def test_command_with_other_pins(tmp_path, capfd, content, says):
    file = tmp_path/'pins.dvc'
    if content is not None: file.write_text(content)
    assert coco.main(['nothing', '--pins', str(file)]) == 2
    out, err = capfd.readouterr()
    assert out == '' and err.startswith('coco.py: ') and err.count('\n') == 1 and says in err and str(file) in err, err


def test_command_with_an_unknown_name(capfd):
    assert coco.main(['train2041']) == 2
    err = capfd.readouterr().err
    assert 'train2041: ' in err and 'pins train2014, val2014, train2017, val2017' in err and err.count('\n') == 1
