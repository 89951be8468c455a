"The demo in a real browser: headless Chromium moves its sliders, uploads pictures, and looks where everything is."
import base64
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from hi3_nb import hide
from hi3_nb.pictures import EXAMPLES, package_file, read_image

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.browser


@pytest.fixture(scope='module')
def server(): # its process and its address; voila.json is read
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    voila = 'voila', 'nbs/demo.ipynb', '--no-browser', f'--port={port}', '--Voila.ip=127.0.0.1'
    p = subprocess.Popen([sys.executable, '-m', *voila], cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'},
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try: socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(.1)
        else: break
    yield p, f'http://127.0.0.1:{port}/'
    p.terminate()
    p.wait(20)


@pytest.fixture(scope='module')
def page(browser, server):
    screen(browser, 1280, 720)
    browser.get(server[1])
    wait(lambda: len(captions(browser)) == 6 and captions(browser)[5], 120)
    return browser


def wait(ready, seconds=30):
    end = time.time() + seconds
    while time.time() < end:
        if ready(): return
        time.sleep(.05)
    raise AssertionError(f'nothing happened within {seconds} s')


ALL_OF = 'return [...document.querySelectorAll(arguments[0])].map(e => e[arguments[1]])'


def all_of(d, selector, attribute): # in one go: the page may replace an element between finding and reading it
    return d.execute_script(ALL_OF, selector, attribute)

def screen(d, width, height):
    shape = dict(width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
    d.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', shape)

def text(d, part): return all_of(d, f'.demo .{part}', 'innerText')[0]
def captions(d): return [t.strip() for t in all_of(d, '.figure', 'innerText')]
def pictures(d): return all_of(d, 'img.widget-image', 'src')
def recovered(d): return captions(d)[5], pictures(d)[5]


BOXES = """const parts = [...document.querySelectorAll('.demo :is(select, input, button, .noUi-base, img, .figure)')]
return parts.map(e => e.getBoundingClientRect()).map(b => [b.left, b.top, b.right, b.bottom])"""
CUT = """return [...document.querySelectorAll('.demo, .demo *, html')].filter(
e => getComputedStyle(e).overflowX != 'visible' && e.scrollWidth > e.clientWidth).map(e => e.outerHTML)"""


@pytest.mark.parametrize('width, height', [(400, 1500), (1280, 720)])
def test_everything_is_in_sight(page, width, height):
    screen(page, width, height)
    time.sleep(.3)
    boxes = page.execute_script(BOXES)
    assert len(boxes) == 5 + 1 + 9 + 3 + 6 + 6 # drop-downs, password, sliders, uploads, pictures, captions
    for l, t, r, b in boxes: assert 0 <= l < r <= width and 0 <= t < b <= height, (l, t, r, b)
    assert not page.execute_script(CUT)


def test_slider_by_keyboard(page):
    from selenium.webdriver.common.keys import Keys
    before, handles = recovered(page), page.find_elements('css selector', '.noUi-handle')
    jpeg = handles[-1] # the last slider
    assert jpeg.get_attribute('aria-valuenow') == '100.0'
    jpeg.send_keys(Keys.HOME)
    wait(lambda: recovered(page)[0] != before[0] and recovered(page)[1] != before[1])
    assert 'dB' in before[0] and 'dB' not in recovered(page)[0] # nothing is left after JPEG at 10
    jpeg.send_keys(Keys.END)
    wait(lambda: recovered(page)[0] == before[0])


def choose(page, label, name):
    from selenium.webdriver.support.ui import Select
    part = next(e for e in page.find_elements('css selector', '.widget-dropdown') if e.text.startswith(label))
    Select(part.find_element('css selector', 'select')).select_by_visible_text(name)


def test_sent_by_a_messenger(page):
    before = captions(page)
    choose(page, 'sent by', 'whatsapp')
    wait(lambda: captions(page)[4] != before[4])
    assert 'dB' in recovered(page)[0] # JPEG 70 is promised at this size; twice is not
    choose(page, 'sent by', 'nobody')
    wait(lambda: captions(page) == before)


def test_another_cover(page):
    before = pictures(page)[0]
    choose(page, 'cover', 'coffee')
    wait(lambda: pictures(page)[0] != before and captions(page)[5])


@pytest.fixture(scope='module')
def entries(page): # of files: for cover, secret, and a picture to reveal
    # a button's own file entry is not part of the page until it is clicked: put it there, and open no dialogue
    page.execute_script('HTMLInputElement.prototype.click = function() { document.body.appendChild(this) }')
    for button in page.find_elements('css selector', 'button.widget-upload'): button.click()
    wait(lambda: len(page.find_elements('css selector', 'input[type=file]')) == 3)
    return page.find_elements('css selector', 'input[type=file]')


def test_own_photographs(page, entries, tmp_path):
    (tmp_path/'no.png').write_text('not a picture')
    before, (cover, secret, _) = pictures(page)[0], entries
    cover.send_keys(str(tmp_path/'no.png'))
    wait(lambda: 'no.png: not an image' in text(page, 'message'))
    assert pictures(page)[0] == before
    picture = read_image(package_file(EXAMPLES['flower']))
    for name, size, entry in (('small.png', (60, 40), cover), ('own.png', (300, 200), cover),
                              ('large.bmp', (2400, 2100), secret)): # of 15 MB
        picture.resize(size).save(tmp_path/name)
        entry.send_keys(str(tmp_path/name))
        at = 1 if entry == secret else 0
        wait(lambda: captions(page)[at] == f'{size[0]}x{size[1]}')
        if name == 'small.png': wait(lambda: 'too small' in text(page, 'message'))
        else: wait(lambda: 'dB' in recovered(page)[0])
    assert captions(page)[2].startswith('300x200') and 'hidden' not in text(page, 'unknown')
    hide(picture.resize((320, 256)), picture).save(tmp_path/'marked.png')
    cover.send_keys(str(tmp_path/'marked.png'))
    wait(lambda: 'hidden in this cover already' in text(page, 'unknown'))


def test_reveal(page, entries, tmp_path):
    data = page.find_element('css selector', 'a[download="marked.jpg"]').get_attribute('href')
    (tmp_path/'marked.jpg').write_bytes(base64.b64decode(data.partition(',')[2]))
    picture = read_image(package_file(EXAMPLES['coffee'])).resize((256, 192))
    picture.resize((80, 60)).save(tmp_path/'plain.png')
    hide(picture, picture, password='open').save(tmp_path/'closed.png')
    (tmp_path/'no.png').write_text('not a picture')
    for name, says in {'marked.jpg': 'Recovered: ', 'plain.png': 'Nothing is hidden', 'no.png': 'no.png: not an image',
                       'closed.png': 'needs a password'}.items():
        entries[2].send_keys(str(tmp_path/name))
        wait(lambda: says in text(page, 'unknown'))
        assert len(all_of(page, '.demo .unknown img', 'src')) == (name == 'marked.jpg')
    page.find_element('css selector', 'input[type=password]').send_keys('open\n')
    wait(lambda: 'Recovered: 256x192' in text(page, 'unknown'))


def test_the_kernel_ends_with_its_page(page, server):
    kernels = psutil.Process(server[0].pid).children()
    assert len(kernels) == 1 and kernels[0].memory_info().rss < 400e6 # without torch
    page.get('about:blank')
    wait(lambda: not psutil.Process(server[0].pid).children())
