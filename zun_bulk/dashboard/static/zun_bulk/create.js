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
 * The form that creates a bulk: its steps, its share of the quotas, and the
 * dry run before the last click. Without this script, the form works too, but
 * shows all fields on one page.
 */
(function () {
  'use strict';

  function Form(form) {
    this.form = form;
    this.check = form.getAttribute('data-bulk-check');
    this.panels = Array.from(form.querySelectorAll('.bulk-step'));
    this.tabs = this.panels.map(function (panel) {
      return document.getElementById(panel.id + '-tab');
    });
    this.back = document.getElementById('bulk-back');
    this.next = document.getElementById('bulk-next');
    this.create = document.getElementById('bulk-create');
    this.checks = 0;
    this.listen();
    this.showQuotas();
    var wrong = this.panels.findIndex(function (panel) {
      return panel.hasAttribute('data-bulk-errors');
    });
    this.show(Math.max(0, wrong));
  }

  Form.prototype.listen = function () {
    var that = this;
    this.back.addEventListener('click', function () {
      that.go(that.current - 1);
    });
    this.next.addEventListener('click', function () {
      that.go(that.current + 1);
    });
    this.tabs.forEach(function (tab, index) {
      tab.addEventListener('click', function (event) {
        event.preventDefault();
        that.go(index, tab);
      });
      tab.addEventListener('keydown', function (event) {
        var step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
        var target = index + step;
        if (step && that.tabs[target]) {
          event.preventDefault();
          that.go(target, that.tabs[target]);
        }
      });
    });
    this.form.addEventListener('keydown', function (event) {
      // Do not submit the form: the user has not reviewed the bulk yet.
      if (event.key === 'Enter' && event.target.tagName === 'INPUT') {
        event.preventDefault();
        that.go(Math.min(that.current + 1, that.panels.length - 1));
      }
    });
    this.form.addEventListener('input', function () {
      that.showQuotas();
    });
    this.form.addEventListener('submit', function () {
      // Only after the browser has collected the values.
      window.setTimeout(function () {
        that.create.disabled = true;
      }, 0);
    });
    // After "back", the form can be submitted again.
    window.addEventListener('pageshow', function (event) {
      if (event.persisted) {
        that.show(that.current);
      }
    });
  };

  /* Goes to a step if the fields of all steps before it are valid. */
  Form.prototype.go = function (target, focus) {
    for (var index = this.current; index < target; index += 1) {
      var fields = Array.from(this.panels[index].querySelectorAll(
        'input, select, textarea'));
      var wrong = fields.find(function (field) {
        return !field.checkValidity();
      });
      if (wrong) {
        this.show(index);
        wrong.reportValidity();
        return;
      }
    }
    this.show(target);
    if (focus && this.current === target) {
      focus.focus();
    } else {
      var first = this.panels[this.current].querySelector(
        'input, select, textarea');
      (first || this.tabs[this.current]).focus();
    }
  };

  Form.prototype.show = function (target) {
    var last = target === this.panels.length - 1;
    this.current = target;
    this.panels.forEach(function (panel, index) {
      panel.hidden = index !== target;
    });
    this.tabs.forEach(function (tab, index) {
      var chosen = index === target;
      tab.setAttribute('aria-selected', String(chosen));
      tab.setAttribute('tabindex', chosen ? '0' : '-1');
      tab.parentElement.classList.toggle('active', chosen);
    });
    this.back.hidden = target === 0;
    this.next.hidden = last;
    this.create.hidden = !last;
    this.create.disabled = !last || Boolean(this.check);
    if (last && this.check) {
      this.ask();
    }
  };

  /* Does a dry run. */
  Form.prototype.ask = function () {
    var that = this;
    var review = document.getElementById('bulk-review');
    var checking = document.getElementById('bulk-checking');
    var failed = document.getElementById('bulk-check-failed');
    // Short: screen readers should not read the whole table.
    var announcement = document.getElementById('bulk-announce');
    this.checks += 1;
    var number = this.checks;
    review.textContent = '';
    checking.hidden = false;
    failed.hidden = true;
    announcement.textContent = checking.textContent;
    this.clearErrors();
    window.zunBulk.fetchJson(this.check, {
      method: 'POST',
      // The form contains the CSRF token.
      body: new FormData(this.form)
    }).then(function (answer) {
      if (answer === null || number !== that.checks) {
        return;
      }
      checking.hidden = true;
      if (Object.keys(answer.errors).length) {
        that.showErrors(answer.errors);
      } else {
        // HTML from the dashboard, which escapes all user input.
        review.innerHTML = answer.html;
        announcement.textContent = answer.announce;
        that.create.disabled = false;
      }
    }).catch(function () {
      if (number === that.checks) {
        checking.hidden = true;
        failed.hidden = false;
        announcement.textContent = failed.textContent;
        // Perhaps only the dry run fails: do not block the creation.
        that.create.disabled = false;
      }
    });
  };

  Form.prototype.clearErrors = function () {
    document.getElementById('bulk-errors').textContent = '';
    this.form.querySelectorAll('.has-error').forEach(function (group) {
      group.classList.remove('has-error');
      group.querySelectorAll('.help-block').forEach(function (block) {
        block.remove();
      });
    });
    this.form.querySelectorAll('[aria-invalid]').forEach(function (field) {
      field.removeAttribute('aria-invalid');
    });
  };

  Form.prototype.showErrors = function (errors) {
    var that = this;
    var first = null;
    Object.keys(errors).forEach(function (name) {
      var field = that.form.querySelector('[name="' + name + '"]');
      var group = field && field.closest('.form-group');
      if (!group) {
        errors[name].forEach(function (text) {
          var alert = document.createElement('div');
          alert.className = 'alert alert-danger';
          alert.textContent = text;
          document.getElementById('bulk-errors').append(alert);
        });
        return;
      }
      group.classList.add('has-error');
      field.setAttribute('aria-invalid', 'true');
      errors[name].forEach(function (text) {
        var block = document.createElement('span');
        block.className = 'help-block';
        block.setAttribute('role', 'alert');
        block.textContent = text;
        group.append(block);
      });
      var index = that.panels.findIndex(function (panel) {
        return panel.contains(field);
      });
      if (first === null || index < first.index) {
        first = {index: index, field: field};
      }
    });
    if (first) {
      this.show(first.index);
      first.field.focus();
    }
  };

  Form.prototype.number = function (name) {
    var field = this.form.querySelector('[name="' + name + '"]');
    return (field && Number(field.value)) || 0;
  };

  /* Shows what the bulk would add to the usage of the quotas. */
  Form.prototype.showQuotas = function () {
    var that = this;
    this.form.querySelectorAll('[data-bulk-quota]').forEach(function (bar) {
      var name = bar.getAttribute('data-bulk-quota');
      var limit = Number(bar.getAttribute('data-bulk-limit'));
      var used = Number(bar.getAttribute('data-bulk-used'));
      var wanted = that.number('count');
      if (name !== 'count') {
        wanted *= that.number(name);
      }
      var over = used + wanted > limit;
      var part = bar.querySelector('.bulk-wanted');
      var room = limit ? Math.max(0, 100 - 100 * used / limit) : 0;
      var width = limit ? Math.min(room, 100 * wanted / limit) : 0;
      part.style.width = width + '%';
      part.classList.toggle('progress-bar-success', !over);
      part.classList.toggle('progress-bar-danger', over);
      bar.classList.toggle('bulk-over', over);
    });
  };

  function start() {
    var form = document.querySelector('form.bulk-create');
    if (form) {
      return new Form(form);
    }
    return null;
  }

  window.zunBulk.whenReady(start);
}());
