"""Download COCO's archives as `data.dvc` pins them: `python scripts/coco.py train2014 val2014` fetches 20 GB.

A download of 13 GB is rarely undisturbed. What has arrived is kept in `train2014.zip.part`, and
the next request, or the next run, asks for the rest. A connection that is cut or hangs is tried again, after longer and
longer pauses, until seven tries in a row bring nothing. A server that cannot begin in the middle sends all of it again.
A file whose announced length is wrong is refused before any of it is fetched. The file gets its name once its md5 is
right; if the md5 is wrong, what was fetched is removed, and the next download begins anew.

Tools that are installed anyway do less: `dvc get-url`, `torch.hub` and `torchvision` cannot resume, and `dvc` checks
nothing; `huggingface_hub` resumes, but gives up when a server is busy and notices a wrong size only at the end.
"""
import argparse
import re
import sys
import time
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tqdm import tqdm

from hi3_nb.data import check_md5, pins
from hi3_nb.images import ImageError
from hi3_nb.records import alone, named

ROOT = Path(__file__).parent.parent


def answer(url:str, f, timeout:float):
    "What the server sends from the end of `f` on; None where there is no more. Errors as in `fetch_rest`."
    begin = f.tell()
    try: return urlopen(Request(url, headers={'Range': f'bytes={begin}-'} if begin else {}), timeout=timeout)
    except HTTPError as e:
        if e.code == 416 and e.headers.get('Content-Range') == f'bytes */{begin}': return None
        if e.code == 416: f.seek(f.truncate(0)) # the server has fewer bytes than were kept: ask for all
        elif e.code not in (408, 429) and e.code < 500: raise ImageError(f'{url}: {e.code} {e.reason}') from None
        raise ConnectionError(f'{e.code} {e.reason}') from None
    except (OSError, HTTPException) as e: raise ConnectionError(str(e)) from None


def blocks(response):
    "The bytes of a response as they arrive."
    try:
        while block := response.read1(1 << 18): yield block
    except (OSError, HTTPException) as e: raise ConnectionError(str(e)) from None


def fetch_rest(url:str, f, size:int|None, timeout:float, bar:tqdm):
    "Append what `f` lacks. Raises `ConnectionError` where another try may help, `ImageError` where none would."
    if (response := answer(url, f, timeout)) is None: return
    with response:
        part = re.fullmatch(r'bytes (\d+)-\d+/(\d+|\*)', response.headers.get('Content-Range', ''))
        first, total = part.groups() if part else (0, response.headers.get('Content-Length', '*'))
        first, total = int(first), size if total == '*' else int(total)
        if size and total != size: raise ImageError(f'{url}: {total} bytes, not {size}; not the pinned archive')
        if first > f.tell(): raise ImageError(f'{url}: sent from byte {first} on, not from {f.tell()}')
        f.seek(f.truncate(first))
        bar.total = total
        for block in blocks(response):
            f.write(block)
            bar.update(f.tell() - bar.n)
            if size and f.tell() > size:
                f.seek(f.truncate(0))
                raise ImageError(f'{url}: more than {size} bytes; not the pinned archive')
    if total and f.tell() < total: raise ConnectionError(f'cut off at {f.tell()} of {total} bytes')


def fetch(url:str, part:Path, size:int|None, timeout:float, tries:int, pause:float):
    "Go on with what is kept in `part` until it is complete. Errors as in `download`."
    with (named(part), open(part, 'ab') as f,
          tqdm(total=size, initial=f.tell(), unit='B', unit_scale=True, desc=part.stem, disable=None) as bar):
        if size and f.tell() > size: f.seek(f.truncate(0))
        most, failed = f.tell(), 0
        while not size or f.tell() != size:
            try: return fetch_rest(url, f, size, timeout, bar)
            except ConnectionError as e:
                failed = 0 if f.tell() > most else failed + 1
                most = max(most, f.tell())
                if failed >= tries:
                    raise OSError(f'{url}: {e}; {f.tell()} bytes are kept in {part}, and the next download '
                                  'goes on from there') from None
            time.sleep(min(60., pause * 2**failed / 2))


def download(url:str, path:str|Path, md5:str, size:int|None=None,
             timeout:float=60., # seconds without a byte until a connection is given up
             tries:int=7,       # in a row that bring nothing
             pause:float=1.     # seconds after one that brought nothing; twice as long after each that follows
            ):
    """Fetch a pinned file, going on with what is kept in `path`.part.
    Raises `ImageError` where what is there is not the pinned file, `OSError` where it cannot be had or kept,
    `BlockingIOError` where another process fetches it."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'{path.name}.part')
    with alone(path):
        if path.exists(): return
        fetch(url, part, size, timeout, tries, pause)
        try: check_md5(part, md5, size)
        except ImageError as e:
            part.unlink()
            raise ImageError(f'{e}; it is removed, and the next download begins anew') from None
        part.replace(path)


def fetch_archives(names:list[str], file:Path):
    "Download the archives of these names, as the file pins them, and print where they are."
    known = {Path(path).stem: (file.parent/path, pin) for path, pin in pins(file).items()}
    for name in names:
        if name not in known: raise ImageError(f'{name}: {file} pins {", ".join(known)}')
    for path, pin in map(known.get, names):
        if not path.exists(): download(pin['url'], path, pin['md5'], pin['size'])
        print(path)


def main(argv:list[str]|None=None)->int:
    "Run a command line. What a user can cause costs one line and exit code 2."
    p = argparse.ArgumentParser('coco.py', description='Download archives of photographs, checked by size and md5.')
    p.add_argument('names', nargs='+', metavar='NAME', help='such as train2014 val2014')
    p.add_argument('--pins', type=Path, default=ROOT/'data.dvc', help='the file that pins them (default: data.dvc)')
    a = p.parse_args(argv)
    try: fetch_archives(a.names, a.pins)
    except KeyboardInterrupt: return 130
    except (ValueError, OSError) as e:
        file = getattr(e, 'filename', None)
        print('coco.py: ' + (f'{file}: {e.strerror}' if file else str(e)), file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__': sys.exit(main())
