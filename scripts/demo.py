"docs/images/demo.jpg: the demo as it looks in a browser, after a messenger. Needs chromium and chromedriver."
import io
import os
import shutil
import socket
import subprocess
import sys
import time

from PIL import Image, ImageOps
from readme import ROOT
from selenium import webdriver
from selenium.webdriver.support.ui import Select

PICTURE, SIZE = ROOT/'docs'/'images'/'demo.jpg', dict(width=1040, height=640)
FLAGS = ('--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
         '--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1') # no network is needed, none is used


def served()->tuple[subprocess.Popen, str]: # the server and its address
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    voila = ['voila', 'nbs/demo.ipynb', '--no-browser', '--Voila.ip=127.0.0.1', f'--port={port}']
    server = subprocess.Popen([sys.executable, '-m', *voila], cwd=ROOT, env={**os.environ, 'OMP_NUM_THREADS': '1'},
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return server, f'http://127.0.0.1:{port}/'


def wait(ready, seconds=300):
    end = time.time() + seconds
    while time.time() < end:
        try:
            if result := ready(): return result
        except Exception: time.sleep(.1) # the page is not there yet
        time.sleep(.1)
    raise SystemExit(f'demo: not ready after {seconds} s')


def photograph(browser, url:str)->bytes: # a PNG of its controls and pictures
    shape = dict(SIZE, deviceScaleFactor=1, mobile=False)
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', shape)
    captions = lambda: [e.text for e in browser.find_elements('css selector', '.figure')]
    wait(lambda: browser.get(url) is None and 'Demo' in browser.title + browser.page_source)
    wait(lambda: len(captions()) == 6 and captions()[5].strip())
    before = captions()
    Select(browser.find_element('css selector', '.demo .way select')).select_by_visible_text('whatsapp')
    wait(lambda: captions()[4] != before[4])
    time.sleep(3) # until the last picture has arrived
    return browser.find_element('css selector', '.demo').screenshot_as_png


if __name__ == '__main__':
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which('chromium') or shutil.which('chromium-browser')
    for f in FLAGS: options.add_argument(f)
    server, url = served()
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which('chromedriver')))
    try: png = photograph(browser, url)
    finally:
        browser.quit()
        server.terminate()
    picture = ImageOps.expand(Image.open(io.BytesIO(png)).convert('RGB'), 12, 'white')
    picture.save(PICTURE, quality=85, optimize=True)
    print(f'{PICTURE}: {PICTURE.stat().st_size/1000:.0f} kB')
