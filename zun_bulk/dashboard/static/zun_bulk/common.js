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
 * What the scripts of the pages share. It has to be loaded before them.
 */
(function () {
  'use strict';

  var zunBulk = window.zunBulk = {};

  /*
   * Calls a URL of the dashboard, which answers with JSON. Resolves to the
   * answer, or to null if the page is being reloaded: because the session has
   * expired, or because the answer demands it. Rejects on any other failure.
   */
  zunBulk.fetchJson = function (url, options) {
    var settings = Object.assign({
      credentials: 'same-origin',
      headers: {
        'Accept': 'application/json',
        'X-Requested-With': 'XMLHttpRequest'
      }
    }, options);
    return window.fetch(url, settings).then(function (response) {
      if (response.status === 401 || response.redirected) {
        return {reload: true};
      }
      if (!response.ok) {
        throw new Error(response.status);
      }
      return response.json();
    }).then(function (answer) {
      if (answer.reload) {
        window.location.reload();
        return null;
      }
      return answer;
    });
  };

  /* Calls a function once the page is parsed. */
  zunBulk.whenReady = function (start) {
    if (document.readyState === 'loading') {
      document.addEventListener('DOMContentLoaded', start);
    } else {
      start();
    }
  };
}());
