/*
 * Licensed under the Apache License, Version 2.0 (the "License"); you may
 * not use this file except in compliance with the License. You may obtain
 * a copy of the License at
 *
 *     http://www.apache.org/licenses/LICENSE-2.0
 *
 * Unless required by applicable law or agreed to in writing, software
 * distributed under the License is distributed on an "AS IS" BASIS, WITHOUT
 * WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied. See the
 * License for the specific language governing permissions and limitations
 * under the License.
 */

/*
 * Pages that refresh themselves while work is under way. The URL in
 * data-bulk-refresh returns, for the whole page, the new HTML of elements and
 * the seconds until the next refresh; 0 means never.
 */
(function () {
  'use strict';

  var SLOWEST = 60;

  function busy(element) {
    return element.contains(document.activeElement) ||
      element.querySelector('.open, .dropdown-menu.show') !== null;
  }

  function parse(html) {
    var template = document.createElement('template');
    template.innerHTML = html.trim();
    return template.content.firstElementChild;
  }

  function copyChecked(from, to) {
    var before = from.querySelector('.table-row-multi-select');
    var after = to.querySelector('.table-row-multi-select');
    if (before && after) {
      after.checked = before.checked;
    }
  }

  /* Horizon caches rows for its sorting and filters: update its cache. */
  function renewRows(table) {
    var datatables = window.horizon && window.horizon.datatables;
    if (!datatables) {
      return;
    }
    window.jQuery(table).trigger('update');
    if (datatables.qs && datatables.qs[table.id]) {
      datatables.qs[table.id].cache();
    }
    datatables.validate_button();
  }

  function Watch(element) {
    this.element = element;
    this.shown = {};
    this.wait = Number(element.getAttribute('data-bulk-poll'));
    this.schedule(this.wait);
  }

  Watch.prototype.schedule = function (seconds) {
    if (seconds > 0) {
      window.setTimeout(this.refresh.bind(this), seconds * 1000);
    } else {
      this.element.setAttribute('data-bulk-poll', '0');
    }
  };

  Watch.prototype.refresh = function () {
    var watch = this;
    if (document.hidden) {
      // The page is hidden: continue when it is visible.
      document.addEventListener('visibilitychange', function () {
        watch.refresh();
      }, {once: true});
      return;
    }
    window.zunBulk.fetchJson(
      this.element.getAttribute('data-bulk-refresh')
    ).then(function (answer) {
      if (answer === null) {
        return;
      }
      watch.wait = answer.poll;
      // Elements in use are replaced at the next refresh.
      if (!watch.show(answer) && !answer.poll) {
        watch.wait = 3;
      }
      watch.schedule(watch.wait);
    }).catch(function () {
      watch.wait = Math.min(SLOWEST, 2 * Math.max(1, watch.wait));
      watch.schedule(watch.wait);
    });
  };

  /* Returns whether all elements are up to date. */
  Watch.prototype.show = function (answer) {
    var watch = this;
    var all = true;
    var changed = this.removeGone(answer.fragments);
    Object.keys(answer.fragments).forEach(function (id) {
      var html = answer.fragments[id];
      var element = document.getElementById(id);
      if (!element || watch.shown[id] === html) {
        return;
      }
      if (busy(element)) {
        all = false;
        return;
      }
      var fresh = parse(html);
      copyChecked(element, fresh);
      element.replaceWith(fresh);
      watch.shown[id] = html;
      changed = true;
    });
    var announcement = document.getElementById('bulk-announce');
    if (announcement && announcement.textContent !== answer.announce) {
      announcement.textContent = answer.announce;
    }
    if (changed) {
      this.element.querySelectorAll('table').forEach(renewRows);
    }
    return all;
  };

  /* Removes rows that are gone. Returns whether there were any. */
  Watch.prototype.removeGone = function (fragments) {
    var selector = 'tbody > tr[data-object-id]';
    if (!this.element.hasAttribute('data-bulk-rows')) {
      return false;
    }
    var gone = Array.from(this.element.querySelectorAll(selector)).filter(
      function (row) {
        return !(row.id in fragments);
      });
    gone.forEach(function (row) {
      row.remove();
    });
    return gone.length > 0;
  };

  function start() {
    document.querySelectorAll('[data-bulk-refresh]').forEach(
      function (element) {
        return new Watch(element);
      });
  }

  window.zunBulk.whenReady(start);
}());
