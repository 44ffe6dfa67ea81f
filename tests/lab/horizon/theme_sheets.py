#    Licensed under the Apache License, Version 2.0 (the "License"); you may
#    not use this file except in compliance with the License. You may obtain
#    a copy of the License at
#
#         http://www.apache.org/licenses/LICENSE-2.0
#
#    Unless required by applicable law or agreed to in writing, software
#    distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
#    WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
#    License for the specific language governing permissions and limitations
#    under the License.

"""Write the style sheets of the themes but the default to lab/THEME.css.

Horizon 27 compresses that of its default theme alone, whichever themes there
are (its key says nothing of the theme), so that choosing another one changes
no colour. Tests put these in its place, which is what each looks like as the
default theme. Horizon 25 has no such file, and needs none.
"""

import pathlib

from django.conf import settings
from django.contrib.staticfiles import finders
from horizon import themes
from horizon.utils import scss_filter


def main():
    sheet = finders.find('dashboard/scss/themes.scss')
    if not sheet:
        return
    folder = pathlib.Path(settings.STATIC_ROOT, 'lab')
    folder.mkdir(exist_ok=True)
    for name, _label, _path in settings.AVAILABLE_THEMES:
        if name == settings.DEFAULT_THEME:
            continue
        themes._local.theme = name
        css = scss_filter.ScssFilter(None, filename=sheet).input()
        # Of the path of Material's icons; web servers mind less.
        css = css.replace(f'{settings.STATIC_URL}/', settings.STATIC_URL)
        (folder / f'{name}.css').write_text(css)


main()
