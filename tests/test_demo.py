"The demo in a real browser: headless Chromium moves its sliders."
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.browser
LARGE = "--Voila.tornado_settings={'websocket_max_message_size': 200_000_000}" # as `make demo` has it: up to 200 MB


@pytest.fixture(scope='module')
def url():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    voila = 'voila', 'nbs/demo.ipynb', '--no-browser', f'--port={port}', '--Voila.ip=127.0.0.1', LARGE
    p = subprocess.Popen([sys.executable, '-m', *voila], cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'},
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(300):
        try: socket.create_connection(('127.0.0.1', port), 1).close()
        except OSError:
            time.sleep(.1)
        else: break
    yield f'http://127.0.0.1:{port}/'
    p.terminate()
    p.wait(20)


@pytest.fixture(scope='module')
def page(browser, url):
    browser.get(url)
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

def captions(d): return [t.strip() for t in all_of(d, '.figure', 'innerText')]
def pictures(d): return all_of(d, 'img.widget-image', 'src')
def recovered(d): return captions(d)[5], pictures(d)[5]


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


def test_another_cover(page):
    from selenium.webdriver.support.ui import Select
    before = pictures(page)[0]
    Select(page.find_elements('css selector', 'select')[0]).select_by_visible_text('coffee')
    wait(lambda: pictures(page)[0] != before)


def test_own_files(page, tmp_path):
    (tmp_path/'no.png').write_text('not a picture')
    before = pictures(page)[0]
    # the button's own file entry is not part of the page until it is clicked: put it there, and open no dialogue
    page.execute_script('HTMLInputElement.prototype.click = function() { document.body.appendChild(this) }')
    page.find_element('css selector', 'button.widget-upload').click()
    wait(lambda: page.find_elements('css selector', 'input[type=file]'))
    entry = page.find_elements('css selector', 'input[type=file]')
    entry[0].send_keys(str(tmp_path/'no.png'))
    wait(lambda: 'no.png: not a picture' in page.find_element('css selector', 'body').text)
    assert pictures(page)[0] == before
    small, large = Image.effect_mandelbrot((300, 200), (-2, -1, 1, 1), 50), Image.radial_gradient('L')
    for name, picture in (('own.png', small), ('large.bmp', large.resize((2400, 2100)))): # the second is of 15 MB
        picture.convert('RGB').save(tmp_path/name)
        entry[0].send_keys(str(tmp_path/name))
        wait(lambda: pictures(page)[0] != before)
        before = pictures(page)[0]


def test_nothing_overflows(page, tmp_path):
    for width in (1280, 400):
        page.set_window_size(width, 1400)
        time.sleep(.5)
        assert page.execute_script('return document.documentElement.scrollWidth') <= width + 20
        page.save_screenshot(str(tmp_path/f'{width}.png'))
        assert (tmp_path/f'{width}.png').stat().st_size > 20_000
